"""What operators do to a line that runs, done to a real one under a steady stream of requests: is anything lost?"""
