/** Static messages with data beside them. Secrets and signed URLs are never handed to it. */
export interface Log {
  debug(message: string, data?: Readonly<Record<string, unknown>>): void;
  info(message: string, data?: Readonly<Record<string, unknown>>): void;
  warn(message: string, data?: Readonly<Record<string, unknown>>): void;
}

export const SILENT_LOG: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined };
