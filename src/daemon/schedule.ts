import { createTask, validate } from 'node-cron';

/** When passes are due. */
export interface Schedule {
  stop(): void;
}

export function isCron(expression: string): boolean {
  return validate(expression);
}

/** Calls at each instant of a cron expression (five fields, or six with seconds), in the time zone of the process. */
export function startSchedule(expression: string, due: () => void): Schedule {
  const task = createTask(expression, due, { suppressMissedWarning: true });
  void task.start();
  return {
    stop: () => void task.destroy(),
  };
}
