-- What Argo CD shows for an object of oms-operator, the same for every kind.
-- Healthy: it is what its spec asks for. Progressing: the operator is at work, or waits for what may pass.
-- Suspended: it waits for a person who stopped it, or who has to approve. Degraded: it failed until somebody acts.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

local function said(...)
  for _, name in ipairs({...}) do
    local condition = conditions[name]
    if condition ~= nil and condition.message ~= nil and condition.message ~= "" then
      return condition.message
    end
  end
  return ""
end

local function health(state, message)
  return { status = state, message = message }
end

-- Nothing moves while the operator is told to keep its hands off, though a transfer at OMS goes on.
local function under_way(message)
  local annotations = obj.metadata.annotations or {}
  if holds("Paused") then
    return health("Suspended", said("Paused"))
  end
  if obj.kind == "SyncEvent" and annotations["oms-operator.io/paused"] == "true" then
    return health("Suspended", "The object has the annotation `oms-operator.io/paused`. Remove it to go on")
  end
  return health("Progressing", message)
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", said("Reconciling", "Ready"))
end
if status.observedGeneration == nil or status.observedGeneration < 0 or conditions["Ready"] == nil then
  return under_way("The operator has not looked at it yet")
end
if obj.metadata.generation ~= nil and status.observedGeneration ~= obj.metadata.generation then
  return under_way("The operator has not looked at the change of the spec yet")
end

-- A task that is only observed fails without condition Stalled.
if holds("Stalled") or status.phase == "Failed" then
  return health("Degraded", said("Stalled", "Ready"))
end
if holds("Reconciling") then
  return under_way(said("Reconciling", "Ready"))
end
-- Before Ready: with readyWhen Accepted a suspended task is Ready too.
if status.phase == "Stopped" or conditions["Ready"].reason == "ApprovalRequired" then
  return health("Suspended", said("Ready"))
end
if holds("Ready") then
  return health("Healthy", said("Ready"))
end
return under_way(said("Ready"))
