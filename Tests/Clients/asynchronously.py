"""Lets a test be an `async def` without a plugin."""
import asyncio
import functools

# A whole scenario; the client itself gives up on one request after 30 s.
PATIENCE = 120.0


def asynchronously(test):
    @functools.wraps(test)
    def run(*arguments, **named):
        asyncio.run(asyncio.wait_for(test(*arguments, **named), PATIENCE))

    return run
