"""Pure functions that measure attributions and representations, and torchmetrics classes that keep their state across processes."""
