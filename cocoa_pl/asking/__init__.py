"""Questions about encoders: pictures, corpora and foils of the user's own."""
