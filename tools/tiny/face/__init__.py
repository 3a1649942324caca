"""A drawn face whose mouth follows the loudness of speech-like sound: what is shown, heard and learnt."""
