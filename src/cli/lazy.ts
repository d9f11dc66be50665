import type { CliContext } from './context.ts';

type Run<Flags, Args extends readonly unknown[]> = (context: CliContext, flags: Flags, ...args: Args) => Promise<void>;

/** Loads the code of a command when it is called, and hands it the context as an argument. */
export function lazy<Flags, Args extends readonly unknown[]>(load: () => Promise<Run<Flags, Args>>) {
  return async () => {
    const command = await load();
    return function call(this: CliContext, flags: Flags, ...args: Args): Promise<void> {
      return command(this, flags, ...args);
    };
  };
}
