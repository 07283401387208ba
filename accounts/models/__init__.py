"""The company's own people, its customers, and everything recorded about them."""

from accounts.models.absences import Absence
from accounts.models.account import Account, AccountMember, Contact, OwnerChange
from accounts.models.api import ApiToken, IdempotentCall
from accounts.models.audit import AuditEntry
from accounts.models.care import (
    ChurnReason,
    Enquiry,
    Interaction,
    Issue,
    IssueReopening,
    Promise,
    PromisePage,
)
from accounts.models.commerce import Contract, Order, OrderLine, Product
from accounts.models.crm import (
    Connection,
    FieldMap,
    Quarantine,
    RawRecord,
    ReadHint,
    RecordAlias,
    StreamCursor,
    SyncLog,
    SyncRun,
    SyncStep,
    WriteBack,
)
from accounts.models.imports import ImportChange, ImportRun, RejectedRow
from accounts.models.merges import AccountMerge, DuplicatePair, MergedRow
from accounts.models.staff import Company, ExchangeRate, Role, Team, User
from accounts.models.team import (
    CustomerEvent,
    Department,
    Handoff,
    OnboardingItem,
    OnboardingStep,
    RoleSwap,
)
from accounts.models.terms import Disclosure, Term

__all__ = [
    "Absence",
    "Account",
    "AccountMember",
    "AccountMerge",
    "ApiToken",
    "AuditEntry",
    "ChurnReason",
    "Company",
    "Connection",
    "Contact",
    "Contract",
    "CustomerEvent",
    "Department",
    "Disclosure",
    "DuplicatePair",
    "Enquiry",
    "ExchangeRate",
    "FieldMap",
    "Handoff",
    "IdempotentCall",
    "ImportChange",
    "ImportRun",
    "Interaction",
    "Issue",
    "IssueReopening",
    "MergedRow",
    "OnboardingItem",
    "OnboardingStep",
    "Order",
    "OrderLine",
    "OwnerChange",
    "Product",
    "Promise",
    "PromisePage",
    "Quarantine",
    "RawRecord",
    "ReadHint",
    "RecordAlias",
    "RejectedRow",
    "Role",
    "RoleSwap",
    "StreamCursor",
    "SyncLog",
    "SyncRun",
    "SyncStep",
    "Team",
    "Term",
    "User",
    "WriteBack",
]
