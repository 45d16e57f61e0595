"""`python -m kerasrl_runner`, for where the console script is not on the path."""

from kerasrl_runner.cli import main

main()
