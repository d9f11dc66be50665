import { osVersionText, parseOsVersion } from './os-version.ts';
import { csiSignature, EMPTY_SIGNATURE, NO_PROGRAM } from './wire.ts';

export interface StoreOptions {
  readonly model: string;
  readonly os: string;
  readonly program: { readonly name: string; readonly bytes: Uint8Array } | null;
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** What lies in a logger's flash and survives power: the OS, the files of CPU:, what runs when it starts. */
export class LoggerStore {
  readonly model: string;
  /** As the logger writes it: `CR1000X.Std.08.01`. */
  os: string;
  readonly files = new Map<string, Uint8Array>();
  /** The file marked run-on-power-up. */
  powerUp: string | null = null;
  running: string | null = null;
  compileErrors = 0;
  compileResults = 'No Program';
  watchdogErrors = 0;
  watchdogEvents = 0;
  /** Named settings (§2.1), constants and variables that commands may read and set. */
  readonly settings = new Map([
    ['PakBusAddress', '1'],
    ['StationName', ''],
  ]);
  readonly constants = new Map<string, string>();
  readonly variables = new Map<string, string>();

  constructor(options: StoreOptions) {
    this.model = options.model;
    this.os = options.os;
    for (const [name, bytes] of Object.entries(options.files)) this.files.set(name, bytes);
    if (options.program !== null) {
      this.files.set(options.program.name, options.program.bytes);
      this.powerUp = options.program.name;
    }
    this.start();
  }

  /**
   * Compiles what is to run (docs/protocols/campbell-mqtt.md §9.4): the file marked run-on-power-up, then `default.*` of
   * CPU:, then nothing. The program of before is never brought back.
   */
  start(forceError = false): void {
    this.running = null;
    this.compileErrors = 0;
    this.compileResults = 'No Program';
    const marked = this.powerUp === null ? undefined : this.files.get(this.powerUp);
    if (this.powerUp !== null && marked !== undefined) {
      if (!forceError && compiles(marked)) return this.#run(this.powerUp);
      this.compileErrors = 1;
      this.compileResults = `CPU:${this.powerUp} -- Compile Failed!`;
    }
    const fallback = this.#defaultProgram();
    if (fallback !== undefined) this.#run(fallback);
    else if (this.powerUp === null) this.compileErrors = 1;
  }

  /** `run now` of a file (§5.5), not marked for power-up. */
  runNow(name: string): void {
    const bytes = this.files.get(name);
    this.running = null;
    if (bytes !== undefined && compiles(bytes)) this.#run(name);
  }

  get signature(): number {
    const bytes = this.running === null ? undefined : this.files.get(this.running);
    return bytes === undefined ? EMPTY_SIGNATURE : csiSignature(bytes);
  }

  /** The truth in the family's canonical texts. */
  truth(): Readonly<Record<string, string>> {
    const version = parseOsVersion(this.os);
    return {
      firmware: version === null ? this.os : osVersionText(version),
      program: this.running === null ? NO_PROGRAM : `CPU:${this.running}`,
    };
  }

  #run(name: string): void {
    this.running = name;
    this.compileErrors = 0;
    this.compileResults = `CPU:${name} -- Compiled in PipelineMode.`;
    this.watchdogErrors = 0;
  }

  #defaultProgram(): string | undefined {
    const candidates = [...this.files.keys()].filter((name) => /^default\.(CR1X|CR6|CR300|CRB|DLD)$/i.test(name)).toSorted();
    return candidates.find((name) => compiles(this.files.get(name) ?? new Uint8Array()));
  }
}

/** The least that every CRBasic program has, and no error page. */
function compiles(bytes: Uint8Array): boolean {
  const text = new TextDecoder('latin1').decode(bytes);
  return /^\s*BeginProg\b/im.test(text) && /^\s*EndProg\b/im.test(text);
}
