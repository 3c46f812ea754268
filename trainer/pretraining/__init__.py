"""How the shipped tiny backbones were made: `architectures`, `tokenizer`, then the two stages."""
