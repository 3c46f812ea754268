"""The model: a backbone, a head, and the states between them; saved and loaded as plain files."""
