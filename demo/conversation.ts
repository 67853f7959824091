// Talks to AgentAPI as a person at the chat would.

interface Message {
  readonly role: string;
  readonly content: string;
}

/** AgentAPI calls the screen stable some 2 s after the last change; a scripted agent needs little more, ms. */
const ANSWER_MAX_MS = 30_000;
const POLL_MS = 100;

export class Conversation {
  constructor(private readonly port: number) {}

  /** Sends a message and returns the agent's answer. Throws an Error when none comes. */
  async ask(content: string): Promise<string> {
    await this.untilStable();
    const response = await fetch(this.url("message"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ content, type: "user" }),
    });
    if (!response.ok) throw new Error(`AgentAPI refused the message: ${await response.text()}`);
    await this.untilStable();
    const { messages } = (await (await fetch(this.url("messages"))).json()) as { messages: Message[] };
    return messages.at(-1)!.content.trim();
  }

  private async untilStable(): Promise<void> {
    const deadline = performance.now() + ANSWER_MAX_MS;
    while (performance.now() < deadline) {
      const { status } = (await (await fetch(this.url("status"))).json()) as { status: string };
      if (status === "stable") return;
      await Bun.sleep(POLL_MS);
    }
    throw new Error(`AgentAPI on port ${this.port} did not become stable`);
  }

  private url(path: string): string {
    return `http://localhost:${this.port}/${path}`;
  }
}
