"""Jobs: what they are asked, what happens to them, and who watches."""
