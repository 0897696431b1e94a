"""The shell every process lives in: arguments, signals, lifeline, heartbeat, sockets, clean exit.

A process module has ``async def main(service: Service) -> None``. It wires sources, stages and topics,
calls ``service.ready()`` once it can work, and returns when it is done or ``service.stopping`` is set.
"""
