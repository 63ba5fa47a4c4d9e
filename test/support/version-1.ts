import { DatabaseSync } from 'node:sqlite';

const TABLES = ['series', 'series_state', 'chunks', 'totals'];
const TOTALS = ['id', 'next_seq', 'samples', 'newest_timestamp_us'];

/** Makes of a database without segments what version 1 would have: its tables alone, and definitions as JSON. */
export function makeVersion1(path: string): void {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  const setDefinition = database.prepare('UPDATE series SET definition = ? WHERE id = ?');
  const series = database
    .prepare('SELECT id, d.definition FROM series JOIN definitions d ON hash = series.definition')
    .all();
  for (const { id, definition } of series) {
    // Its keys had an order of their own.
    const entries = Object.entries(JSON.parse(String(definition))).reverse();
    setDefinition.run(JSON.stringify(Object.fromEntries(entries)), Number(id));
  }
  const views = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'view'").all();
  for (const { name } of views) database.exec(`DROP VIEW ${name}`);
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  for (const { name } of tables) if (!TABLES.includes(String(name))) database.exec(`DROP TABLE ${name}`);
  const columns = database.prepare("SELECT name FROM pragma_table_info('totals')").all();
  for (const { name } of columns) {
    if (!TOTALS.includes(String(name))) database.exec(`ALTER TABLE totals DROP COLUMN ${name}`);
  }
  database.exec('ALTER TABLE series_state DROP COLUMN seq');
  database.exec('PRAGMA user_version = 1');
  database.close();
}
