"""An MCP client that calls a tool of mcp_server.py twice, once in vain; both ends are instrumented, each
in its own process, by the OTEL_* variables alone. An agent's span around it is what any caller has.
"""
import os
import sys

import anyio
from mcp import Client, StdioServerParameters, stdio_client
from opentelemetry import trace

HERE = os.path.dirname(os.path.abspath(__file__))


async def call():
    """The server inherits nothing by itself: an MCP client passes the variables it wants to."""
    told = {key: value for key, value in os.environ.items()
            if key.startswith(("OTEL_", "AWS_", "AGENT_"))}
    launch = os.path.join(os.path.dirname(sys.executable), "opentelemetry-instrument")
    server = StdioServerParameters(
        command=launch, args=[sys.executable, os.path.join(HERE, "mcp_server.py")],
        env={**told, "OTEL_SERVICE_NAME": os.environ["OTEL_SERVICE_NAME"] + "-server"})
    async with Client(stdio_client(server)) as client:
        await client.list_tools()
        await client.call_tool("search", {"word": "index"})
        await client.call_tool("search", {"word": "nothing"})


def main():
    tracer = trace.get_tracer("interop.agent")
    with tracer.start_as_current_span("invoke_agent clerk", attributes={
            "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk",
            "session.id": os.environ["INTEROP_SESSION"]}):
        anyio.run(call)


main()
