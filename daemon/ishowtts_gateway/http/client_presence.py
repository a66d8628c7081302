"""Ends the work for a client that has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.types import Receive


async def run_while_connected(receive: Receive, work: Coroutine[Any, Any, None]) -> bool:
    """Run work until it is done, or until the client has closed the connection: then the work is cancelled.

    Args:
        receive: Of a request whose body was read.

    Returns: Whether the work was done.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        done = working.done()
        working.cancel()
        leaving.cancel()
        results = await asyncio.gather(working, leaving, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return done


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
