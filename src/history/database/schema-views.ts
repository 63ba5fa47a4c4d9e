/**
 * Views for people with an `sqlite3` prompt (docs/sql.md). They cost nothing until they are asked, and no
 * more than Debian 12's SQLite 3.40 has.
 *
 * telemetry_series   the series by name
 * telemetry_history  the samples that lie in chunks, the newest first, as the API says them: chunk-codec.ts in SQL
 */

/** Every byte, so that instr() tells a byte's number. */
const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0')).join('');

/** The unsigned little-endian number of so many bytes of a blob, from an index on. */
function unsigned(blob: string, bytes: number, start = 1): string {
  return Array.from({ length: bytes }, (_, byte) => {
    const number = `instr(bytes, substr(${blob}, ${start + byte}, 1)) - 1`;
    return byte === 0 ? `${number}` : `(${number} << ${8 * byte})`;
  }).join(' + ');
}

/** The signed number of so many bytes of a blob. */
function signed(blob: string, bytes: number): string {
  const shift = 64 - 8 * bytes;
  return `((${unsigned(blob, bytes)}) << ${shift}) >> ${shift}`;
}

/**
 * What `result` makes of a \`number\`, the double (IEEE 754) of 8 bytes of a blob: the mantissa is doubled or halved
 * as often as the exponent says, up to 32 times in a step, each of which is exact. -0 becomes 0.
 */
function double(blob: string, result: string): string {
  return `(
        WITH RECURSIVE scaled (number, power) AS (
          SELECT
            (1 - 2 * (high >> 31)) * ((((high >> 20) & 2047 > 0) << 52) + ((high & 1048575) << 32) + low) * 1.0,
            max((high >> 20) & 2047, 1) - 1075
          FROM (SELECT ${unsigned(blob, 4, 5)} AS high, ${unsigned(blob, 4)} AS low)
          UNION ALL
          SELECT
            CASE WHEN power > 0 THEN number * (1 << min(power, 32)) ELSE number / (1 << min(-power, 32)) END,
            CASE WHEN power > 0 THEN power - min(power, 32) ELSE power + min(-power, 32) END
          FROM scaled WHERE power <> 0
        )
        SELECT ${result} FROM scaled WHERE power = 0
      )`;
}

const INTEGER = 'CAST(number AS INTEGER)';
/** What is an integer is told without a decimal point; Node reads none beyond 2^53. */
const INTEGER_IF_IT_IS = `iif(abs(number) < 9007199254740992 AND number = ${INTEGER}, ${INTEGER}, number)`;

/*
 * A chunk is read once: LIMIT keeps SQLite from folding `chunk` into what asks for it, and CROSS JOIN makes it the
 * outer loop. The inner loop is over the places 0 to count - 1, which json_each() counts. What a row
 * says is worked out only where it is asked for.
 */
export const VIEWS = `
  CREATE VIEW telemetry_series AS
  SELECT
    id, bus, node_id,
    json_extract(definition, '$.messageType') AS message_type,
    json_extract(definition, '$.componentType') AS component_type,
    json_extract(definition, '$.componentId') AS component_id,
    json_extract(definition, '$.commandId') AS command_id,
    json_extract(definition, '$.valueType') AS value_type,
    json_extract(definition, '$.unit') AS unit,
    json_extract(definition, '$.scale') AS scale,
    json_extract(definition, '$.valueNames') AS value_names
  FROM (SELECT id, bus, node_id, d.definition FROM series JOIN definitions d ON d.hash = series.definition);

  CREATE VIEW telemetry_history AS
  WITH
    chunk AS (
      SELECT
        first_seq, count, base_timestamp_us, samples,
        CASE substr(samples, 2, 1) WHEN x'02' THEN 3 WHEN x'01' THEN 4 ELSE 8 END AS time_bytes,
        CASE substr(samples, 3, 1) WHEN x'02' THEN 3 WHEN x'01' THEN 4 ELSE 8 END AS value_bytes,
        iif(substr(samples, 4, 1) = x'01', 1, 2) AS series_bytes,
        '[0' || replace(substr(hex(zeroblob(count)), 3), '00', ',0') || ']' AS places,
        x'${BYTES}' AS bytes
      FROM chunks ORDER BY first_seq DESC LIMIT -1
    ),
    column_start AS (
      SELECT
        *, 9 + ((count * time_bytes + 7) & -8) AS value_start,
        9 + ((count * time_bytes + 7) & -8) + ((count * value_bytes + 7) & -8) AS series_start
      FROM chunk LIMIT -1
    ),
    written AS (
      SELECT
        first_seq + count - 1 - key AS seq, base_timestamp_us, time_bytes, value_bytes, series_bytes, bytes,
        substr(samples, 9 + (count - 1 - key) * time_bytes, time_bytes) AS time_blob,
        substr(samples, value_start + (count - 1 - key) * value_bytes, value_bytes) AS value_blob,
        substr(samples, series_start + (count - 1 - key) * series_bytes, series_bytes) AS series_blob
      FROM column_start CROSS JOIN json_each(places)
    ),
    sample AS (
      SELECT
        seq,
        iif(series_bytes = 1, ${unsigned('series_blob', 1)}, ${unsigned('series_blob', 2)}) AS series,
        CASE time_bytes
          WHEN 3 THEN base_timestamp_us + ${unsigned('time_blob', 3)}
          WHEN 4 THEN base_timestamp_us + ${unsigned('time_blob', 4)}
          ELSE ${double('time_blob', INTEGER)}
        END AS timestamp_us,
        CASE value_bytes
          WHEN 3 THEN ${signed('value_blob', 3)}
          WHEN 4 THEN ${signed('value_blob', 4)}
          ELSE ${double('value_blob', INTEGER_IF_IT_IS)}
        END AS raw_value
      FROM written
    )
  SELECT
    seq,
    timestamp_us / 1e6 AS timestamp,
    strftime('%Y-%m-%dT%H:%M:%S', timestamp_us / 1000000, 'unixepoch') || printf('.%06dZ', timestamp_us % 1000000) AS time,
    bus, node_id, message_type, component_type, component_id, command_id, value_type,
    CASE
      WHEN scale = 1 THEN raw_value
      WHEN abs(round(1.0 / scale)) > 1 AND 1.0 / round(1.0 / scale) = scale THEN raw_value / round(1.0 / scale)
      ELSE raw_value * 1.0 * scale
    END AS value,
    raw_value,
    json_extract(value_names, '$."' || raw_value || '"') AS value_name,
    unit
  FROM sample CROSS JOIN telemetry_series ON telemetry_series.id = sample.series;
`;
