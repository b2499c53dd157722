"""An MCP server with one tool, over standard input and output. Started by mcp_client.py."""
from mcp.server import MCPServer

server = MCPServer("index-tools")


@server.tool()
def search(word: str) -> str:
    """Look for a word."""
    if word == "nothing":
        raise ValueError("there is no index of nothing")
    return f"nothing about {word}"


server.run("stdio")
