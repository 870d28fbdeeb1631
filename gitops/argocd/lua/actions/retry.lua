-- Starts the failed task again, once and at once. One that the operator starts again by itself only has to be looked at;
-- one that it has given up needs room for one more start in `spec.retry.limit`.
local os = require("os")
local status = obj.status or {}
if status.phase == "Retrying" then
  if obj.metadata.annotations == nil then
    obj.metadata.annotations = {}
  end
  obj.metadata.annotations["oms-operator.io/reconcile-requested-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
  return obj
end
local made = 0
if status.retries ~= nil and status.retries.made ~= nil then
  made = status.retries.made
end
if obj.spec.retry == nil then
  obj.spec.retry = {}
end
obj.spec.retry.limit = made + 1
return obj
