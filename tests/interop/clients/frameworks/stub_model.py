"""A model service on 127.0.0.1: Bedrock's Converse and OpenAI's chat completions. It asks for the tool
`search` once and answers when it has the tool's result. Nothing is counted: the usage is fixed.

Both say the second call in their own way: of 210 prompt tokens 60 come from a cache. OpenAI's count
includes them, Bedrock's does not.
"""
import contextlib
import http.server
import json
import threading

TEXT = "The index is rebuilt."


def converse(request):
    done = any("toolResult" in part for message in request["messages"]
               for part in message["content"])
    if done:
        usage = {"inputTokens": 150, "outputTokens": 30, "totalTokens": 240,
                 "cacheReadInputTokens": 60}
        content = {"text": TEXT}
    else:
        usage = {"inputTokens": 100, "outputTokens": 20, "totalTokens": 120}
        content = {"toolUse": {"toolUseId": "call-1", "name": "search",
                               "input": {"word": "index"}}}
    return {"output": {"message": {"role": "assistant", "content": [content]}},
            "stopReason": "end_turn" if done else "tool_use", "usage": usage,
            "metrics": {"latencyMs": 5}}


def completion(request):
    done = any(message["role"] == "tool" for message in request["messages"])
    message = {"role": "assistant", "content": TEXT if done else None}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    if done:
        usage = {"prompt_tokens": 210, "completion_tokens": 30, "total_tokens": 240,
                 "prompt_tokens_details": {"cached_tokens": 60},
                 "completion_tokens_details": {"reasoning_tokens": 10}}
    else:
        message["tool_calls"] = [{"id": "call-1", "type": "function", "function": {
            "name": "search", "arguments": '{"word": "index"}'}}]
    return {"id": f"answer-{len(request['messages'])}", "object": "chat.completion",
            "created": 1700000000, "model": request["model"] + "-2026-01-01", "usage": usage,
            "choices": [{"index": 0, "message": message,
                         "finish_reason": "stop" if done else "tool_calls"}]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = completion if self.path.endswith("/chat/completions") else converse
        body = json.dumps(answer(request)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def stub():
    """The service's URL, while it runs."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
