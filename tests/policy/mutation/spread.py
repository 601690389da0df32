"""A policy that has every construct, each in lines of its own."""

SPREAD = """\
version: 1
name: spread

event:
  job: detail.jobId
  user: detail.userId
  time: time
  reference: detail.purchase.id

money:
  places: 2
  rounding: down

prices:
  second:
    - effective: 2025-01-01T00:00:00Z
      by:
        - detail.model
        - detail.resolution
      tiers: volume
      rates:
        default: "0.10"
        old: "0.05"
        premium:
          default:
            - up_to: 60
              rate: "0.30"
            - up_to: 600
              rate: "0.20"
            - rate: "0.10"
          4k: "0.50"
    - effective: 2025-06-01T00:00:00Z
      changes:
        old: null
        new: "0.15"
        premium:
          default:
            - up_to: 90
              rate: "0.35"
            - rate: "0.15"
          4k: "0.55"
    - effective: 2025-07-01T00:00:00Z
      until: 2025-08-01T00:00:00Z
      changes:
        premium:
          4k: "0.45"
    - effective: 2026-01-01T00:00:00Z
      rates:
        default: "0.12"
  word:
    - effective: 2025-01-01T00:00:00Z
      rates: {default: "0.03"}
  credit:
    - effective: 2025-01-01T00:00:00Z
      rates: {default: 1}

rules:
  - name: debit-made
    match:
      source:
        - video
      detail:
        status:
          - made
        kind:
          - prefix: "x-"
          - anything-but:
              - y
    action: debit
    charge:
      price: second
      quantity: sum(detail.parts[].seconds)
      priced_at: detail.submittedAt
      minimum: "0.01"
      maximum: "500"
    repeats: ignore
  - name: debit-told
    match:
      detail-type:
        - told
    action: debit
    charge:
      components:
        - name: in
          price: word
          quantity: detail.usage.input
        - price: second
          quantity: detail.usage.seconds
        - name: fee
          amount: "0.005"
      minimum: "0.02"
      priced_at: detail.submittedAt
  - name: refund-lost
    match:
      detail:
        status:
          - lost
    action: refund
    refund:
      percent: 50
      within: 7d
  - name: refund-part
    match:
      detail:
        status:
          - cut
    action: refund
    refund:
      amount: detail.refund.credits
      within: 36h
  - name: refund-share
    match:
      detail:
        status:
          - short
    action: refund
    refund:
      percent: detail.refund.share
  - name: grant-bought
    match:
      detail-type:
        - bought
    action: grant
    grant:
      price: credit
      quantity: detail.purchase.credits
  - name: revoke-disputed
    match:
      detail-type:
        - disputed
    action: revoke
    revoke:
      percent: 100
      series: disputes
  - name: revoke-refunded
    match:
      detail-type:
        - refunded
    action: revoke
    revoke:
      amount: detail.purchase.refunded
      series: refunds
  - name: flag-made
    match:
      $or:
        - detail:
            seconds:
              - numeric:
                  - ">"
                  - 10
                  - "<="
                  - 20
        - detail:
            address:
              - cidr: 10.0.0.0/8
    action: flag
    reason: look at it

overdraft: refuse
unknown_user: flag

anomalies:
  - name: no-result
    match:
      detail:
        result:
          - exists: false
    reason: there should be one
  - name: unusual
    outlier:
      value: charge.amount
      group: detail.model
      mads: 6
      samples: 30
      scale: log
  - name: too-often
    frequency:
      same:
        - detail.user
        - detail.prompt
      more_than: 10
      within: 10m
  - name: falling
    drift:
      value: charge.amount
      group: detail.model
      below: 0.5
      last: 20
      within: 1d
      samples: 30

catch_up:
  - when:
      status:
        - made
    event:
      source: video
      detail-type: made
      time: updatedAt

explain:
  model: gpt-4.1
  max_per_hour: 60
"""
"""A message that names a line beside the right one shows here."""
