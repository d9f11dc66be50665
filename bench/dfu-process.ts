import { fork, type ChildProcess } from 'node:child_process';

/** Processor time in microseconds and memory in bytes of a process, since it began. */
export interface Usage {
  readonly cpu: number;
  readonly rss: number;
}

/** Answers a parent's `usage`; says `ready` once. */
export function serveUsage(): void {
  process.on('message', (message) => {
    if (message !== 'usage') return;
    const { user, system } = process.cpuUsage();
    process.send?.({ cpu: user + system, rss: process.memoryUsage.rss() } satisfies Usage);
  });
  process.once('disconnect', () => process.exit(0));
  process.send?.('ready');
}

/** A part of a bench in a process of its own. */
export class Part {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Part> {
    const child = fork(file, [...args], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: { ...process.env, ...env } });
    const part = new Part(child);
    await part.#next('ready');
    return part;
  }

  async ask(message: string | object): Promise<unknown> {
    const answer = this.#next(null);
    this.#child.send(message);
    return answer;
  }

  async usage(): Promise<Usage> {
    return (await this.ask('usage')) as Usage;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await ended;
  }

  #next(wanted: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const end = (code: unknown): void => reject(new Error(`a part of the bench ended with ${String(code)}`));
      this.#child.once('exit', end);
      this.#child.once('message', (message) => {
        this.#child.off('exit', end);
        if (wanted !== null && message !== wanted) reject(new Error(`unexpected: ${JSON.stringify(message)}`));
        else resolve(message);
      });
    });
  }
}
