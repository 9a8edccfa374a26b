"""Requirements files, in pip's format."""
