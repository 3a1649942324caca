"""The process that decodes what users upload: no GPU, no token, no network, little memory and time."""
