/** One line of a script: a command, its plain words and its `name=value` options; `body` for a command with a text. */
export interface Command {
  readonly line: number;
  readonly text: string;
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** A script that cannot be read or carried out: says which line. */
export class ScriptError extends Error {
  override readonly name = 'ScriptError';

  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`);
  }
}

/**
 * Reads a script: one command a line, `#` begins a comment, double quotes hold words with spaces together, and a line
 * that ends with `<<` takes the lines up to `END` as its text.
 */
export function parseScript(text: string): readonly Command[] {
  const lines = text.split('\n');
  const commands: Command[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const line = index + 1;
    const written = (lines[index] ?? '').trim();
    if (written === '' || written.startsWith('#')) continue;
    const takesBody = written.endsWith('<<');
    const body: string[] = [];
    if (takesBody) {
      for (index += 1; lines[index] !== 'END'; index += 1) {
        if (index >= lines.length) throw new ScriptError(line, 'the text has no END');
        body.push(lines[index] ?? '');
      }
    }
    const command = takesBody ? written.slice(0, -2).trim() : written;
    commands.push({ line, text: command, ...wordsOf(command, line), body: takesBody ? `${body.join('\n')}\n` : null });
  }
  return commands;
}

function wordsOf(command: string, line: number): Pick<Command, 'words' | 'options'> {
  const words: string[] = [];
  const options: Record<string, string> = {};
  for (const match of command.matchAll(/([\w.-]+)=("[^"]*"|\S+)|"([^"]*)"|(\S+)/g)) {
    const [, name, value, quoted, plain] = match;
    if (name !== undefined && value !== undefined) options[name] = value.replaceAll('"', '');
    else words.push(quoted ?? plain ?? '');
  }
  if (words.length === 0) throw new ScriptError(line, 'no command');
  return { words, options };
}
