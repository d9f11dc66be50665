import type { ReasonText } from '#ports/family.ts';

export const REASONS_OF_FAILURE: Readonly<Record<string, ReasonText>> = {
  UNKNOWN_SERVICE: { class: 'verdict', text: 'chariotd took it from the mailbox and has no service of that key' },
  REJECTED_BY_DEVICE: { class: 'verdict', text: 'the service took it from the mailbox and kept what it had: its validate() refuses it' },
  UNANSWERED: {
    class: 'verdict',
    text: 'taken from the mailbox twice and nothing reported: refused, unknown, or a livelock; options.agent would tell and free it',
  },
  ADJUSTED_BY_DEVICE: { class: 'verdict', text: 'the service wrote something else than it was told' },
  NOT_INSTALLED: { class: 'verdict', text: 'the file was written, and the device does not run it: its notify command failed, or hangs' },
  INSTALL_FAILED: { class: 'verdict', text: 'the device says that it failed' },
  ROLLED_BACK: { class: 'verdict', text: 'the device says that it went back to what it had' },
  WRONG_RESULT: { class: 'verdict', text: 'the device runs neither what it had nor what it was told' },
  KEEPS_OLD_CERTIFICATE: {
    class: 'verdict',
    text: 'it was issued a new certificate and goes on with the old one, as chariotd does unless somebody points preferred to the new one',
  },
  ISSUED_BEFORE: { class: 'verdict', text: 'its new certificate was issued before the declared instant: a clock is wrong' },
  ORDER_LOST: { class: 'trouble', text: 'the mailbox was emptied, and the agent never took the order: chariotd was away' },
  PROVISIONING_FAILED: { class: 'trouble', text: 'the agent took the order, and no new certificate came of it' },
  SWALLOWED: { class: 'trouble', text: 'taken from the mailbox, and nothing of it was reported' },
  LIVELOCK: {
    class: 'trouble',
    text: 'taken twice and nothing reported, as when the file holds it already: the device is told to fetch its shadow again',
  },
  UNREPORTED: {
    class: 'trouble',
    text: 'the key in which the device says what runs went with a fetch and did not come back, or was not said again since the file was written',
  },
  DELTA_LOST: { class: 'trouble', text: 'the device is there and has not emptied its mailbox: the delta was lost, or its queue is wedged' },
  URL_EXPIRED: { class: 'trouble', text: 'the device failed after its URL had expired: it gets a new one' },
  VERSION_CONFLICT: { class: 'trouble', text: 'the shadow changed under every attempt to write it' },
  ARTIFACT_UNREACHABLE: { class: 'trouble', text: 'the bytes could not be fetched, or no URL of them made' },
};
