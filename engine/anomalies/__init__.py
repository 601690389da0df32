"""What a person should look at: looked for in many entries, listed, told once a day, put into words."""
