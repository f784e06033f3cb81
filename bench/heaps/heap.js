// SPDX-License-Identifier: BSD-3-Clause
// A V8 heap: records of the lines of text files and an index of their words.
// Grows to about the number of MiB given, says "ready", and lives until its
// input ends.

const fs = require('fs');
const path = require('path');

const goal = Number(process.argv[2]) * 1024 * 1024;
const records = [];
const index = new Map();

function add (file, number, text) {
  const record = { file, number, text, words: text.split(/\W+/), seen: {} };
  records.push(record);
  for (const word of record.words) {
    record.seen[word] = (record.seen[word] || 0) + 1;
    if (!index.has(word))
      index.set(word, []);
    index.get(word).push(record);
  }
}

// False: enough.
function walk (folder) {
  let entries;
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true });
  } catch (e) {
    return true;
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory() && !walk(name))
      return false;
    if (!entry.isFile() || !/\.(h|py|pm|txt|json)$/.test(entry.name))
      continue;
    fs.readFileSync(name, 'latin1').split('\n').forEach(
      (line, i) => { if (line.trim()) add(name, i + 1, line); });
    if (process.memoryUsage().heapUsed >= goal)
      return false;
  }
  return true;
}

for (const folder of process.argv.slice(3))
  if (!walk(folder))
    break;
console.log('ready', records.length, index.size);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
