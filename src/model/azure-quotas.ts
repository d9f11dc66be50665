/**
 * What an Azure IoT hub allows: docs/protocols/shadow-devices.md §8.6. Throttles of one unit of tier S1; B2 and S2 share
 * those of queries, and S3 has more. Change the figures with their dates.
 */
export const AZURE_IOT = {
  at: '2025-05',
  source: 'IoT Hub quotas and throttling, tier S1, one unit',
  /**
   * Calls per second and hub; queries are counted in minutes (20/min/unit), direct methods in KB (160 KB/s/unit, each begun
   * 4 KB as one).
   */
  perSecond: { get: 100, update: 50, search: 20 / 60, invoke: 40 },
  /** Messages per day and unit of S1; reads, updates and queries of twins from outside count, each begun 4 KB as one. */
  messagesPerDay: 400_000,
} as const;

/** Operations that have a throttle of their own. */
export type AzureOperation = keyof typeof AZURE_IOT.perSecond;
