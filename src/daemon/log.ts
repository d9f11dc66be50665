import { pino } from 'pino';
import type { Log } from '#ports/log.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The log of a daemon has one level more: what a person must look at. */
export interface DaemonLog extends Log {
  error(message: string, data?: Readonly<Record<string, unknown>>): void;
}

/** One JSON object a line. */
export function makeLog(stream: { write(text: string): unknown }, level: LogLevel): DaemonLog {
  const logger = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    { write: (text) => void stream.write(text) },
  );
  return {
    debug: (message, data = {}) => logger.debug(data, message),
    info: (message, data = {}) => logger.info(data, message),
    warn: (message, data = {}) => logger.warn(data, message),
    error: (message, data = {}) => logger.error(data, message),
  };
}
