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
from accounts.models.imports import ImportChange, ImportRun, RejectedRow
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
    "ApiToken",
    "AuditEntry",
    "ChurnReason",
    "Company",
    "Contact",
    "Contract",
    "CustomerEvent",
    "Department",
    "Disclosure",
    "Enquiry",
    "ExchangeRate",
    "Handoff",
    "IdempotentCall",
    "ImportChange",
    "ImportRun",
    "Interaction",
    "Issue",
    "IssueReopening",
    "OnboardingItem",
    "OnboardingStep",
    "Order",
    "OrderLine",
    "OwnerChange",
    "Product",
    "Promise",
    "PromisePage",
    "RejectedRow",
    "Role",
    "RoleSwap",
    "Team",
    "Term",
    "User",
]
