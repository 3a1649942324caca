"""Live sessions: sound in, blocks of frames out."""
