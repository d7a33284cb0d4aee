/** The fields of one block of server-sent events; `data` without its event is a change. */
export interface Block {
  event?: string;
  data?: string;
  id?: string;
  retry?: number;
}

/** Cuts text that comes in any pieces into blocks (HTML Standard, server-sent events). */
export class Blocks {
  private rest = "";
  private block: Block = {};

  /** The blocks that are whole now. One that is never ended is never told. */
  push(text: string): Block[] {
    const found: Block[] = [];
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop()!;
    for (const line of lines) {
      if (line === "") {
        if (Object.keys(this.block).length > 0) found.push(this.block);
        this.block = {};
      } else {
        this.read(line);
      }
    }
    return found;
  }

  private read(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (name === "data") {
      this.block.data = this.block.data === undefined ? value : `${this.block.data}\n${value}`;
    } else if (name === "event") {
      this.block.event = value;
    } else if (name === "id" && !value.includes("\0")) {
      this.block.id = value;
    } else if (name === "retry" && /^\d+$/.test(value)) {
      this.block.retry = Number(value);
    }
  }
}
