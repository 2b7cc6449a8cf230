"""What names of everyday objects mean: other words for the same thing, and kinds of it that do not say so.

Hand-written, for the names of CIFAR-100, ImageNet and COCO. Kinds whose last word is the thing (``tabby cat``) need no table. Not covered:
kinds of anything that the table does not list, such as of animal, food, furniture or vehicle; wholes and parts; other languages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from cocoa_pl.texts.words import forms, normalised, synonyms, tails

_SYNONYMS = """
    car, automobile, motorcar, auto, motor car | bicycle, bike, push bike, cycle, pushbike | motorcycle, motorbike, motor bike
    airplane, aeroplane, plane, aircraft, airliner, jet | helicopter, chopper | bus, coach, autobus, motorbus, omnibus | truck, lorry
    pickup, pickup truck | streetcar, tram, trolley, tramcar, trolley car | train, railway train, railroad train
    subway train, metro train, underground train | ship, vessel | motorboat, speedboat, powerboat | rocket, space rocket
    taxi, cab, taxicab | fire truck, fire engine | garbage truck, dustcart, bin lorry | ambulance, rescue car
    moped, motor scooter, scooter | lawn mower, mower, grass cutter
    television, tv, television set, tv set, telly, tv monitor | telephone, phone
    cell phone, mobile phone, cellular telephone, smartphone, mobile, cellphone, cellular phone, phone
    couch, sofa, settee, studio couch | armchair, easy chair | wardrobe, closet, armoire | cupboard, cabinet | table, dining table
    bureau, chest of drawers, dresser, chiffonier | bookcase, bookshelf | lamp, light | lightbulb, light bulb, bulb | rug, carpet
    faucet, tap, spigot, water tap | sink, washbasin, basin, handbasin, washbowl | bathtub, tub, bath | toilet, lavatory, toilet bowl, wc
    refrigerator, fridge, icebox, ice box | microwave, microwave oven | stove, cooker, range | oven, cooking oven
    washing machine, washer, automatic washer | vacuum, vacuum cleaner, hoover
    hair dryer, hair drier, hand blower, blow dryer, hairdryer
    trash can, garbage can, dustbin, ashcan, rubbish bin, waste bin, wastebin, bin | bucket, pail | can, tin, tin can
    cup, mug, teacup, coffee cup, coffee mug | glass, drinking glass, tumbler | plate, dish | saucepan, cooking pot, pot
    frying pan, skillet, frypan | bottle, flask | purse, handbag, pocketbook | wallet, billfold, notecase
    backpack, rucksack, knapsack, back pack | suitcase, luggage, baggage | eyeglasses, glasses, spectacles
    sunglasses, sunglass, dark glasses, shades | trousers, pants, slacks | jeans, blue jeans, jean, denims
    sneaker, running shoe, trainer, gym shoe | sweater, jumper, pullover | pajamas, pyjamas, pajama
    swimsuit, swimming costume, bathing suit, maillot | diaper, nappy | necktie, tie | umbrella, brolly, parasol | computer, pc
    laptop, laptop computer, notebook computer, notebook | computer keyboard, keyboard | mouse, computer mouse
    monitor, computer monitor, screen, display | remote, remote control | loudspeaker, speaker | photocopier, copier, copying machine
    movie theater, cinema, movie house, picture house | camera, photo camera | clock, timepiece | watch, wristwatch, wrist watch
    traffic light, traffic signal, stoplight | mailbox, letter box, postbox, letterbox | road, street | sidewalk, pavement | store, shop
    skyscraper, high rise, tower block | house, home, dwelling | forest, woods, woodland | sea, ocean
    seashore, seaside, beach, seacoast, coast | mountain, mount | plain, prairie, steppe | rock, stone, boulder | football, soccer ball
    frisbee, flying disc | teddy, teddy bear | balloon, hot air balloon | kite, toy kite | airship, blimp
    man, gentleman, guy, male person | woman, lady, female person | boy, lad | girl, lass | baby, infant, newborn | child, kid, youngster
    person, human, human being, people | cat, house cat, domestic cat, pussycat, kitty | dog, domestic dog, doggy | rabbit, bunny, hare
    cow, cattle, ox | pig, hog, swine | donkey, ass | sheep, lamb | rooster, cock | hen, chicken | possum, opossum
    raccoon, racoon, coon | mouse, house mouse | chimpanzee, chimp | cougar, puma, mountain lion, panther
    hippopotamus, hippo, river horse | rhinoceros, rhino | polar bear, ice bear | crocodile, croc | turtle, tortoise | dinosaur, dino
    killer whale, orca | ladybug, ladybird, ladybeetle, lady beetle | cockroach, roach | worm, earthworm | wasp, yellowjacket
    shrew, shrewmouse | koala, koala bear | giant panda, panda, panda bear | lesser panda, red panda | guinea pig, cavy | rose, rosebush
    poppy, corn poppy | corn, maize, ear, corncob | zucchini, courgette | eggplant, aubergine
    sweet pepper, bell pepper, capsicum, pepper | mushroom, toadstool | orange, orange fruit | hot dog, frankfurter | donut, doughnut
    cookie, biscuit | candy, sweets | french fries, chips | ice lolly, popsicle, lollipop | tissue, toilet tissue, toilet paper
    palm tree, palm | oak tree, oak | maple tree, maple | pine tree, pine | willow tree, willow | axe, hatchet | wrench, spanner
    flashlight, torch, electric torch | eraser, rubber eraser, rubber | stapler, stapling machine | racket, racquet, tennis racket
"""
_KINDS = {
    "dog": """
        puppy, pup, hound, terrier, retriever, spaniel, setter, sheepdog, poodle, pointer, collie, German shepherd, mastiff, schnauzer,
        corgi, pinscher, husky, malamute, dalmatian, pug, Chihuahua, Pekinese, Pekingese, Shih-Tzu, papillon, ridgeback, basset, beagle,
        bloodhound, bluetick, coonhound, foxhound, redbone, borzoi, wolfhound, greyhound, whippet, elkhound, otterhound, Saluki,
        deerhound, Weimaraner, bullterrier, Airedale, cairn, Dandie Dinmont, Boston bull, Lhasa, vizsla, clumber, springer, kuvasz,
        schipperke, groenendael, malinois, briard, kelpie, komondor, Bouvier des Flandres, Rottweiler, Doberman, Appenzeller, EntleBucher,
        boxer, bulldog, Great Dane, Saint Bernard, St. Bernard, affenpinscher, basenji, Leonberg, Newfoundland, Great Pyrenees, Samoyed,
        Pomeranian, chow, keeshond, griffon, Pembroke, Cardigan, Mexican hairless, dachshund, labrador, mutt, akita, shiba
    """,
    "cat": "kitten, tabby, tomcat, Siamese, Maine coon, ragdoll, sphynx, calico",
    "bird": """
        cock, hen, rooster, chicken, ostrich, brambling, finch, goldfinch, junco, bunting, robin, bulbul, jay, magpie, chickadee, ouzel,
        kite, eagle, vulture, owl, hawk, falcon, grouse, ptarmigan, peacock, quail, partridge, parrot, African grey, macaw, cockatoo,
        lorikeet, coucal, bee eater, hornbill, hummingbird, jacamar, toucan, drake, duck, merganser, goose, swan, stork, spoonbill,
        flamingo, heron, egret, bittern, crane, limpkin, gallinule, coot, bustard, turnstone, sandpiper, redshank, dowitcher,
        oystercatcher, pelican, penguin, albatross, pigeon, dove, sparrow, crow, raven, seagull, gull, woodpecker, swallow, turkey
    """,
    "snake": "boa, boa constrictor, python, cobra, mamba, viper, rattlesnake, diamondback, sidewinder, adder, anaconda",
    "fish": """
        tench, goldfish, shark, great white shark, hammerhead, ray, stingray, barracouta, eel, coho, salmon, rock beauty, flounder,
        plaice, sole, halibut, sturgeon, gar, lionfish, puffer, trout, flatfish, tuna, carp, cod
    """,
    "flatfish": "flounder, plaice, sole, halibut",
    "ray": "stingray, manta",
    "monkey": "guenon, patas, baboon, macaque, langur, colobus, marmoset, capuchin, titi",
    "ape": "orangutan, gorilla, chimpanzee, chimp, gibbon, siamang",
    "spider": "tarantula, black widow",
    "insect": """
        beetle, ladybug, ladybird, weevil, fly, bee, ant, wasp, grasshopper, cricket, walking stick, cockroach, mantis, cicada,
        leafhopper, lacewing, dragonfly, damselfly, butterfly, moth, mosquito, caterpillar
    """,
    "beetle": "ladybug, ladybird, weevil",
    "butterfly": "admiral, ringlet, monarch, lycaenid",
    "bear": "grizzly, giant panda",
    "wolf": "timber wolf, coyote",
    "lizard": "gecko, iguana, chameleon, agama, Komodo dragon, whiptail, Gila monster, skink, anole",
    "turtle": "terrapin, loggerhead",
    "horse": "pony, foal, stallion, mare, sorrel",
    "cow": "bull, calf, heifer",
    "sheep": "ram, ewe",
    "whale": "killer whale, orca",
    "rabbit": "Angora",
    "squirrel": "chipmunk",
    "person": """
        man, woman, boy, girl, baby, child, kid, infant, lady, gentleman, adult, teenager, toddler, ballplayer, groom, bride, scuba diver,
        policeman, fireman, soldier
    """,
    "child": "boy, girl, toddler",
    "man": "groom, policeman, fireman",
    "woman": "bride",
    "flower": "rose, tulip, poppy, orchid, sunflower, daisy, lily, dandelion, daffodil",
    "tree": "oak, maple, palm, pine, willow, birch, fir, spruce, beech",
    "fruit": """
        apple, orange, pear, lemon, banana, strawberry, pineapple, fig, pomegranate, jackfruit, cherry, grape, peach, plum, Granny Smith
    """,
    "apple": "Granny Smith",
    "car": """
        limousine, convertible, jeep, taxi, cab, sedan, hatchback, station wagon, beach wagon, Model T, racer, minivan, sports car, suv
    """,
    "truck": "pickup, tractor trailer, semi, van",
    "bus": "minibus, trolleybus, double decker",
    "boat": "canoe, gondola, catamaran, trimaran, yawl, lifeboat, speedboat, fireboat, sailboat, kayak, rowboat, schooner",
    "ship": "liner, aircraft carrier, container ship, schooner",
    "airplane": "warplane, jumbo jet, fighter jet",
    "train": "bullet train, locomotive",
    "chair": "throne, armchair, stool",
    "telephone": "pay-phone, payphone",
    "computer": "laptop, desktop",
    "bag": "backpack, purse, handbag, suitcase",
    "bridge": "viaduct",
    "bed": "four-poster, crib, cradle, bassinet",
    "house": "cottage, bungalow, villa",
    "mountain": "alp, volcano",
    "mushroom": "agaric, bolete",
}
_NOT_KINDS = """
    hot dog, prairie dog, sea lion, guinea pig, sea horse, rocking horse, teddy bear, koala bear, water bear, Madagascar cat,
    hermit crab, horseshoe crab, flying fox, fur seal, fox squirrel, jelly fish, star fish, cray fish, cuttle fish, crane fly,
    custard apple, snow leopard, carpenter's plane, sea mouse, book worm, sea wolf, cable car, freight car, passenger car, side car,
    mobile home, piggy bank, coral fungus, sea cucumber, lesser panda, red panda, Boston bull, feather boa, hen-of-the-woods,
    traffic light, solar dish, Petri dish, window shade, fire screen, window screen, waffle iron, slide rule, steel drum,
    medicine chest
"""


@dataclass(frozen=True)
class Meaning:
    """What a concept means, for comparing names with it.

    Attributes:
        concept: as people say it.
        names: its normalised names.
        same: forms of its names.
        others: forms of other words for it.
        kinds: forms of the kinds that are listed.
    """

    concept: str
    names: frozenset[str]
    same: frozenset[str]
    others: frozenset[str]
    kinds: frozenset[str]

    def why_left_out(self, name: str) -> str | None:
        """Why a foil should not hold a name, None where it may.

        Example:
            >>> [meaning("cat").why_left_out(name) for name in ("Cats", "house-cat", "tiger cat", "kitten", "dog")]
            ['another form of cat', 'another word for cat', 'a kind of cat', 'a kind of cat', None]
        """
        return next((why for part in synonyms(name) if (why := self._why(part)) is not None), None)

    def _why(self, name: str) -> str | None:
        found = forms(name)
        if normalised(name) in self.names:
            return "the corpus itself"
        if found & self.same:
            return f"another form of {self.concept}"
        if found & self.others:
            return f"another word for {self.concept}"
        if found & self.kinds:
            return f"a kind of {self.concept}"
        if found & _not_kinds():
            return None
        by_last_words = any(forms(tail) & (self.same | self.others | self.kinds) for tail in tails(name))
        return f"a kind of {self.concept}" if by_last_words else None


def meaning(concept: str) -> Meaning:
    """What a concept means; of one that lists synonyms between commas all of them.

    Example:
        >>> "automobile" in meaning("car").others, "kitten" in meaning("pussycat").kinds
        (True, True)
    """
    parts = synonyms(concept)
    same = _forms_of(parts)
    others = frozenset(form for group in _groups() if group & same for form in group) - same
    known, kinds = frozenset[str](), same | others
    while kinds != known:  # kinds of kinds too: a monarch is a butterfly, which is an insect
        known = kinds
        kinds = known.union(*(listed for head, listed in _kinds() if head & known))
    return Meaning(parts[0] if parts else concept, frozenset(map(normalised, parts)), same, others, kinds - same - others)


@cache
def _groups() -> tuple[frozenset[str], ...]:
    return tuple(_forms_of(group.split(",")) for line in _SYNONYMS.strip().splitlines() for group in line.split("|"))


@cache
def _kinds() -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    return tuple((forms(head), _forms_of(listed.split(","))) for head, listed in _KINDS.items())


@cache
def _not_kinds() -> frozenset[str]:
    return _forms_of(_NOT_KINDS.split(","))


def _forms_of(names: Iterable[str]) -> frozenset[str]:
    return frozenset(form for name in names for form in forms(name))
