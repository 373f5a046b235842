"""`python -m jobs.cli`: the console script without its installation."""

from jobs.cli import main

if __name__ == "__main__":
    main()
