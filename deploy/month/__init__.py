"""`make month`: four weeks of experiments on a generated world whose users answer what they are served."""
