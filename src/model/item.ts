export const ITEM_KINDS = ['firmware', 'program', 'config', 'settings', 'files', 'trust', 'identity'] as const;
export type ItemKind = (typeof ITEM_KINDS)[number];
/** An item kind, or one of its slots where a family has several: `firmware.host`, `config.telemetry`. */
export type ItemName = ItemKind | `${ItemKind}.${string}`;

export function itemKind(name: ItemName): ItemKind {
  const dot = name.indexOf('.');
  return (dot < 0 ? name : name.slice(0, dot)) as ItemKind;
}
