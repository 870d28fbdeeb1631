-- A new word: each runs once.
local os = require("os")
obj.spec.rerun = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
