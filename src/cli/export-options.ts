export const EXPORT_FORMATS = ['csv', 'ndjson', 'parquet'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** What to export, and to where. */
export interface ExportOptions {
  readonly databasePath: string;
  /** Inclusive, microseconds since the epoch. */
  readonly fromUs: number;
  /** Exclusive. */
  readonly toUs: number;
  /** Patterns; none for all signals. */
  readonly signals: readonly string[];
  readonly bus: string | undefined;
  readonly format: ExportFormat;
  /** Null for the standard output. */
  readonly outputPath: string | null;
}
