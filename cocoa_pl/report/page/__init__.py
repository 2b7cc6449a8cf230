"""Parts of ``report.html``: Python makes the markup, style and script lie beside it."""
