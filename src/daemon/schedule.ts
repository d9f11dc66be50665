import { createTask, validate } from 'node-cron';

/** When passes are due. */
export interface Schedule {
  stop(): void;
}

export function isCron(expression: string): boolean {
  return validate(expression);
}

/** Calls at each instant of a cron expression (five fields, or six with seconds); without a zone, in that of the process. */
export function startSchedule(expression: string, zone: string | null, due: () => void): Schedule {
  const task = createTask(expression, due, { suppressMissedWarning: true, ...(zone === null ? {} : { timezone: zone }) });
  void task.start();
  return {
    stop: () => void task.destroy(),
  };
}
