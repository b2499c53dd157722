"""An agent of LangChain (a LangGraph graph) with one tool, unmodified. Which instrumentation speaks of
it, OpenInference's or OpenLLMetry's, depends on what is installed; `opentelemetry-instrument` sets it
up from the OTEL_* variables alone. Its model is the stub of stub_model.py, asked through OpenAI's
client. The conversation is LangGraph's thread_id, which is all such a program says.
"""
import os

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from stub_model import stub


@tool
def search(word: str) -> str:
    """Look for a word."""
    return f"nothing about {word}"


def main():
    with stub() as url:
        model = ChatOpenAI(model="stub-model", base_url=f"{url}/v1", api_key="none")
        agent = create_agent(model, [search], name="clerk")
        agent.invoke({"messages": [("user", "Why is the index slow?")]},
                     {"configurable": {"thread_id": os.environ["INTEROP_SESSION"]}})


main()
