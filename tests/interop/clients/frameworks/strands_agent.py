"""A Strands agent with one tool, unmodified: `opentelemetry-instrument` sets it up from the OTEL_*
variables alone, under OpenTelemetry's distribution or under that of AWS. Its model is the stub of
stub_model.py, asked through boto3 as Bedrock is. Session and user are said in trace_attributes,
which is where Strands' documentation says so.
"""
import os

import boto3
from strands import Agent, tool
from strands.models import BedrockModel

from stub_model import stub


@tool
def search(word: str) -> str:
    """Look for a word.

    Args:
        word: what to look for
    """
    return f"nothing about {word}"


def main():
    with stub() as url:
        session = boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1")
        os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] = url
        model = BedrockModel(boto_session=session, model_id="anthropic.claude-stub-v1:0",
                             streaming=False)
        agent = Agent(model=model, tools=[search], name="clerk", callback_handler=None,
                      trace_attributes={"session.id": os.environ["INTEROP_SESSION"],
                                        "user.id": "user-1"})
        agent("Why is the index slow?")


main()
