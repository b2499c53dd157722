"""An agent of LangChain (a LangGraph graph) with one tool, unmodified. Which instrumentation speaks of
it, OpenInference's, OpenLLMetry's or that of AWS, depends on what is loaded; `opentelemetry-instrument`
sets it up from the OTEL_* variables alone. Its model is the stub of stub_model.py, asked through
OpenAI's client. The conversation is LangGraph's thread_id, which is all such a program says.
"""
import os

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from opentelemetry import baggage, context

from stub_model import stub


@tool
def search(word: str) -> str:
    """Look for a word."""
    return f"nothing about {word}"


def main():
    session = os.environ["INTEROP_SESSION"]
    if os.environ.get("INTEROP_BAGGAGE"):
        # What AgentCore's runtime does with its session's header.
        context.attach(baggage.set_baggage("session.id", session))
    with stub() as url:
        model = ChatOpenAI(model="stub-model", base_url=f"{url}/v1", api_key="none")
        agent = create_agent(model, [search], name="clerk")
        agent.invoke({"messages": [("user", "Why is the index slow?")]},
                     {"configurable": {"thread_id": session}})


main()
