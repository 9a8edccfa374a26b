"""Runtime images: what their tags stand for."""
