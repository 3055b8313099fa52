# The rows of `report` from its records: the last one of each day, customer and user.
reduce inputs as $it ({};
  "\($it.timestamp[:10])\t\($it.customer)\t\($it.user | split("/") | last)" as $row
  | if .[$row] == null or .[$row].timestamp < $it.timestamp then .[$row] = $it else . end)
| to_entries | sort_by(.key)[]
| (.key | split("\t")) + [.value.additional_users_count, .value.project_name, .value.cluster_name]
| @csv
