# Filters of jq that jaq's library does not define, by their descriptions in jq's manual.

# Whether a value is among others.
def IN(others): any(others == .; .);
def IN(some; others): any(some == others; .);

# An object whose names come from a filter; of several rows with one name, the last stays.
def INDEX(rows; name): reduce rows as $row ({}; . + {($row | name | tostring): $row});
def INDEX(name): INDEX(.[]; name);

# Each leaf as [path, value]; behind the last one of a container, the path alone.
def tostream:
  def events($path):
    if (isarray or isobject) and length > 0 then
      keys_unsorted as $names
      | ($names[] as $name | .[$name] | events($path + [$name])),
        [$path + [$names[-1]]]
    else [$path, .] end;
  events([]);

# The values whose parts are told so.
def fromstream(events):
  def put($path; $value):
    if $path == [] then $value
    else
      $path[0] as $name
      | if ($name | isstring) then (. // {}) | .[$name] as $old | . + {($name): ($old | put($path[1:]; $value))}
        else (. // []) | .[$name] as $old | .[:$name] + [$old | put($path[1:]; $value)] + .[$name + 1:] end
    end;
  foreach events as $event (
    {whole: null, ends: false};
    (if .ends then {whole: null, ends: false} else . end)
    | if ($event | length) == 2 then
        {whole: (.whole | put($event[0]; $event[1])), ends: ($event[0] == [])}
      else . + {ends: ($event[0] | length == 1)} end;
    if .ends then .whole else empty end);

# Paths to what holds nothing else.
def leaf_paths: paths(scalars);

# A row as text for spreadsheets.
def @csv:
  [.[] | if isstring then "\"" + gsub("\""; "\"\"") + "\"" elif . == null then ""
    elif isarray or isobject then error("a cell cannot hold an array or an object") else tostring end]
  | join(",");
def @tsv:
  [.[] | if isstring then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
    elif . == null then ""
    elif isarray or isobject then error("a cell cannot hold an array or an object") else tostring end]
  | join("\t");
