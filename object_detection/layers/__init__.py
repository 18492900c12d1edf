"""Network parts: backbones, necks, heads. Constructors take plain keywords; nothing here reads a config."""
